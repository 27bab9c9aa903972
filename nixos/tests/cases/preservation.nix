# The root is a tmpfs, and a unit mounts what is kept.
{
  boot.loader.systemd-boot.enable = true;
  fileSystems."/" = { mountPoint = "/"; fsType = "tmpfs"; };
  systemd.mounts = [{ where = "/var/lib/golden-generation"; what = "/persist/var/lib/golden-generation"; }];
  services.golden-generation.enable = true;
}
