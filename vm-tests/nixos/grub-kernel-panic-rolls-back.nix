{ lib, ... }:
{
  timeoutSecs = 900;
  machine = import ./grub.nix { inherit lib; };
  script = ''
    begin()
    assert deploy("panic")[0] == 0
    assert status()["default"] == toplevel("first"), "golden is not the default while the trial waits"
    reboot()
    arrive("first")
    machine.wait_until_succeeds("golden status | grep -q ^rolled-back", timeout=300)
    attempts = ledger()["quarantine"][0]["attempts"]
    assert [attempt["end"]["cause"]["kind"] for attempt in attempts] == ["never-reached-boot-check"] * 2, attempts
    assert history().count("rebooting") == 1, history()
  '';
}
