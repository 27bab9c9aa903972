{ lib, ... }:
{
  timeoutSecs = 900;
  machine = import ./grub.nix { inherit lib; };
  script = ''
    begin()
    assert deploy("broken-unit")[0] == 0
    reboot()
    arrive("first")
    assert status()["state"] == "rolled-back", status()
    attempts = ledger()["quarantine"][0]["attempts"]
    assert len(attempts) == 2, attempts
    assert all(attempt["end"]["cause"]["kind"] == "unit-failed" for attempt in attempts), attempts
    assert machine.succeed("readlink -f /nix/var/nix/profiles/system").strip() == toplevel("first")
  '';
}
