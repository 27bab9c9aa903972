{ ... }:
{
  timeoutSecs = 900;
  # nixos-upgrade.service runs `nixos-rebuild boot`; here with a system that is built already, since there is no network.
  machine = { lib, pkgs, ... }: {
    system.autoUpgrade = { enable = true; allowReboot = false; dates = "2100-01-01"; };
    systemd.services.nixos-upgrade.script = lib.mkForce ''
      system=$(${pkgs.coreutils}/bin/readlink -f /nix/var/nix/profiles/system-1-link/specialisation/good)
      ${pkgs.nix}/bin/nix-env --profile /nix/var/nix/profiles/system --set "$system"
      "$system/bin/switch-to-configuration" boot
    '';
  };
  script = ''
    begin()
    machine.succeed("systemctl start nixos-upgrade.service")
    assert ledger()["trial"]["toplevel"] == toplevel("good"), ledger()
    reboot()
    arrive("good")
    assert status()["default"] == toplevel("good"), status()
  '';
}
