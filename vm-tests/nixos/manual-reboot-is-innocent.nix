{ ... }:
{
  timeoutSecs = 1200;
  script = ''
    begin()
    assert deploy("slow")[0] == 0
    for number in range(1, 4):
        reboot()
        arrive("slow", confirmed=False)
        machine.wait_until_succeeds(f"golden status --json | jq -e '.trial.attempts | length == {number}'", timeout=60)
        attempts = ledger()["trial"]["attempts"]
        assert len(attempts) == number, attempts
        assert all(attempt["end"]["kind"] == "innocent" for attempt in attempts[:-1]), attempts
    machine.succeed("touch /run/go-on")
    arrive("slow")
    assert status()["default"] == toplevel("slow"), status()
  '';
}
