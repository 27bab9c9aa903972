{
  boot.loader.systemd-boot.enable = true;
  boot.loader.systemd-boot.bootCounting.enable = true;
  systemd.package = { name = "systemd"; version = "260.1"; };
  services.golden-generation.enable = true;
}
