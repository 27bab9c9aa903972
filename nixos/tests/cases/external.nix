{
  boot.loader.external.enable = true;
  services.golden-generation.enable = true;
  services.golden-generation.loaderCommand = "/etc/golden-generation/loader";
}
