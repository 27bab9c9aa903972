{ ... }:
{
  timeoutSecs = 1200;
  script = ''
    begin()
    assert deploy("broken-unit")[0] == 0
    reboot()
    arrive("first")
    machine.wait_until_succeeds("golden status | grep -q ^rolled-back", timeout=300)
    for action in ["boot", "switch"]:
        code, said = deploy("broken-unit", action)
        assert code != 0 and "quarantined" in said, (code, said)
        assert status()["default"] == toplevel("first"), status()
    # Also for a deployer that skips the checks.
    path = toplevel("broken-unit")
    code, said = machine.execute(f"NIXOS_NO_CHECK=1 {path}/bin/switch-to-configuration boot 2>&1")
    assert code != 0 and "quarantined" in said, (code, said)
    assert status()["default"] == toplevel("first"), status()
    reboot()
    arrive("first")
  '';
}
