{
  boot.loader.generic-extlinux-compatible.enable = true;
  boot.loader.generic-extlinux-compatible.mirroredBoots = [{ path = "/boot/firmware"; }];
  services.golden-generation.enable = true;
}
