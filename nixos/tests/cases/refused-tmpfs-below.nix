{
  boot.loader.systemd-boot.enable = true;
  fileSystems."/" = { mountPoint = "/"; fsType = "ext4"; };
  fileSystems."/var/lib" = { mountPoint = "/var/lib"; fsType = "ramfs"; };
  services.golden-generation.enable = true;
}
