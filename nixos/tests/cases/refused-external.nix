# lanzaboote installs through this one; another one is not known.
{
  boot.loader.external.enable = true;
  services.golden-generation.enable = true;
}
