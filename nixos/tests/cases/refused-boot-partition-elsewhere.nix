{
  boot.loader.efi.efiSysMountPoint = "/mnt/esp";
  boot.loader.systemd-boot.enable = true;
  services.golden-generation.enable = true;
}
