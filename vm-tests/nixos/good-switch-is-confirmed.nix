{ ... }:
{
  timeoutSecs = 900;
  script = ''
    begin()
    assert deploy("good")[0] == 0
    assert status()["default"] == toplevel("first"), "the default moves before the trial has passed"
    assert ledger()["trial"]["toplevel"] == toplevel("good")
    reboot()
    arrive("good")
    assert status()["state"] == "ok" and status()["default"] == toplevel("good"), status()
    before = machine.succeed("sha256sum /var/lib/golden-generation/ledger.json /boot/loader/loader.conf")
    for _ in range(2):
        reboot()
        arrive("good")
    assert before == machine.succeed("sha256sum /var/lib/golden-generation/ledger.json /boot/loader/loader.conf")
  '';
}
