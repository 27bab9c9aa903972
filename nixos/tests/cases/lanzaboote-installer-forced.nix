{ lib, ... }:
{
  boot.lanzaboote.enable = true;
  boot.loader.external.enable = true;
  boot.loader.external.installHook = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-lzbt/bin/lzbt";
  system.build.installBootLoader = lib.mkForce "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-mine";
  services.golden-generation.enable = true;
}
