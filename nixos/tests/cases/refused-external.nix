# lanzaboote installs through this one.
{
  boot.loader.external.enable = true;
  services.golden-generation.enable = true;
}
