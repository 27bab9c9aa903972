{
  boot.loader.systemd-boot.enable = true;
  fileSystems."/" = { mountPoint = "/"; fsType = "tmpfs"; };
  fileSystems."/var/lib" = { mountPoint = "/var/lib"; fsType = "ext4"; };
  services.golden-generation.enable = true;
}
