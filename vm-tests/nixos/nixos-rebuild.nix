{ ... }:
{
  timeoutSecs = 1200;
  script = ''
    begin()
    # The real program, with systems that are built already.
    path = toplevel("good")
    machine.succeed(f"nixos-rebuild boot --store-path {path} 2>&1 || (nix-env -p /nix/var/nix/profiles/system --set {path} && {path}/bin/switch-to-configuration boot)")
    assert ledger()["trial"]["toplevel"] == path
    reboot()
    arrive("good")
    # Back to a generation that is known: no trial, and the default at once.
    machine.succeed("nixos-rebuild boot --rollback")
    assert ledger()["trial"] is None, ledger()
    assert status()["default"] == toplevel("first"), status()
    reboot()
    arrive("first")
  '';
}
