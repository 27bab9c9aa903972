{
  boot.loader.systemd-boot.enable = true;
  boot.loader.systemd-boot.extraFiles."startup.nsh" = "echo mine";
  services.golden-generation.enable = true;
}
