{
  boot.loader.grub.enable = true;
  boot.loader.grub.default = 2;
  services.golden-generation.enable = true;
}
