{
  boot.loader.generic-extlinux-compatible.enable = true;
  services.golden-generation.enable = true;
}
