{ ... }:
{
  timeoutSecs = 900;
  script = ''
    begin()
    assert deploy("good", "switch")[0] == 0
    confirmed = [one["toplevel"] for one in ledger()["confirmed"]]
    assert toplevel("good") not in confirmed, "a switch confirmed what was never booted"
    assert ledger()["trial"]["attempts"] == [], "a switch counted a boot that did not happen"
    before = ledger()["revision"]
    assert deploy("good", "test")[0] == 0
    assert deploy("good", "dry-activate")[0] == 0
    assert ledger()["revision"] == before, "test or dry-activate marked"
    reboot()
    arrive("good")
    assert len(ledger()["confirmed"]) == 2, ledger()
  '';
}
