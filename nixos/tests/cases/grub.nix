{
  boot.loader.grub.enable = true;
  services.golden-generation.enable = true;
}
