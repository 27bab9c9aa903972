{
  boot.loader.systemd-boot.enable = true;
  fileSystems."/" = { mountPoint = "/"; fsType = "tmpfs"; };
  services.golden-generation.enable = true;
}
