# As its module sets them.
{
  boot.lanzaboote.enable = true;
  boot.loader.external.enable = true;
  boot.loader.external.installHook = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-lzbt/bin/lzbt";
  services.golden-generation.enable = true;
}
