{
  boot.loader.grub.enable = true;
  boot.loader.grub.mirroredBoots = [
    { path = "/boot1"; devices = [ "/dev/sda" ]; }
    { path = "/boot2"; devices = [ "/dev/sdb" ]; }
  ];
  services.golden-generation.enable = true;
}
