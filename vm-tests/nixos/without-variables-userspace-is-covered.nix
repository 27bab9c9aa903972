{ lib, ... }:
{
  timeoutSecs = 900;
  # The kernel does not ask the firmware, so nothing can be armed: the trial is the default until its boot check.
  machine = {
    boot.kernelParams = [ "efi=noruntime" ];
    boot.loader.efi.canTouchEfiVariables = lib.mkForce false;
  };
  script = ''
    begin()
    assert deploy("good")[0] == 0
    reboot()
    arrive("good")
    machine.succeed("pin-golden")
    assert deploy("broken-unit")[0] == 0
    reboot()
    arrive("good")
    machine.wait_until_succeeds("golden status | grep -q ^rolled-back", timeout=300)
    attempts = ledger()["quarantine"][0]["attempts"]
    assert [attempt["end"]["cause"]["kind"] for attempt in attempts] == ["unit-failed"] * 2, attempts
    assert status()["default"] == toplevel("good"), status()
  '';
}
