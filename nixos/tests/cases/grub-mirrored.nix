{
  boot.loader.grub.enable = true;
  boot.loader.grub.mirroredBoots = [
    { path = "/boot"; devices = [ "/dev/sda" ]; }
    { path = "/boot-fallback"; devices = [ "/dev/sdb" ]; }
  ];
  services.golden-generation.enable = true;
}
