{
  boot.lanzaboote.enable = true;
  boot.loader.external.enable = true;
  boot.loader.external.installHook = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-lzbt/bin/lzbt";
  boot.loader.efi.efiSysMountPoint = "/mnt/esp";
  services.golden-generation.enable = true;
}
