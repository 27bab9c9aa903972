{
  boot.lanzaboote.enable = true;
  boot.loader.external.enable = true;
  boot.loader.external.installHook = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-lzbt/bin/lzbt";
  boot.lanzaboote.configurationLimit = 3;
  services.golden-generation.enable = true;
}
