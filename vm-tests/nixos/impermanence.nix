{ ... }:
{
  timeoutSecs = 1200;
  # The root is a tmpfs; what must be kept is on the disk.
  machine = { lib, ... }: {
    virtualisation.fileSystems = {
      "/" = lib.mkForce { device = "none"; fsType = "tmpfs"; options = [ "mode=755" ]; };
      "/persist" = { device = "/dev/disk/by-label/nixos"; fsType = "ext4"; neededForBoot = true; };
    };
    services.golden-generation.stateDir = "/persist/golden-generation";
  };
  script = ''
    STATE = "/persist/golden-generation"
    begin()
    assert deploy("broken-unit")[0] == 0
    reboot()
    arrive("first")
    assert len(ledger()["quarantine"][0]["attempts"]) == 2, ledger()
    machine.fail("test -e /var/lib/golden-generation/ledger.json")
  '';
}
