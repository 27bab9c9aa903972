{ lib, ... }:
{
  timeoutSecs = 900;
  # Where this nixpkgs has it, and a systemd-boot that is new enough for it.
  machine = { config, options, ... }: {
    config = lib.optionalAttrs (options.boot.loader.systemd-boot ? bootCounting) {
      boot.loader.systemd-boot.bootCounting.enable = lib.versionAtLeast config.systemd.package.version "260";
    };
  };
  script = ''
    begin()
    assert deploy("good")[0] == 0
    reboot()
    arrive("good")
    assert status()["state"] == "ok", status()
    # What was confirmed counts no more.
    path = toplevel("good")
    entries = machine.succeed(f"grep -l 'init={path}/init' /boot/loader/entries/*").split()
    assert not any("+" in entry for entry in entries), entries
  '';
}
