{
  boot.loader.grub.enable = true;
  boot.loader.grub.default = "saved";
  services.golden-generation.enable = true;
}
