{ ... }:
{
  timeoutSecs = 900;
  machine.boot.loader.systemd-boot.configurationLimit = 1;
  script = ''
    begin()
    golden = toplevel("first")
    for name in ["good", "better"]:
        assert deploy(name)[0] == 0
        reboot()
        arrive(name)
    paths = {name: toplevel(name) for name in ["first", "good", "better"]}
    machine.succeed("nix-collect-garbage -d")
    machine.succeed(f"{paths['better']}/bin/switch-to-configuration boot")
    machine.succeed(f"test -e {golden}/init")
    machine.succeed(f"grep -rl 'init={golden}/init' /boot/loader/entries")
    machine.fail(f"grep -rl 'init={paths['good']}/init' /boot/loader/entries")
    assert status()["golden"] == golden, status()
  '';
}
