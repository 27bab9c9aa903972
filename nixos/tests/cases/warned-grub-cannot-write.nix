{
  boot.loader.grub.enable = true;
  fileSystems."/" = { mountPoint = "/"; fsType = "btrfs"; };
  services.golden-generation.enable = true;
}
