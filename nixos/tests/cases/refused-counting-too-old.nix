{
  boot.loader.systemd-boot.enable = true;
  boot.loader.systemd-boot.bootCounting.enable = true;
  services.golden-generation.enable = true;
}
