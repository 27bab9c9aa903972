{
  services.golden-generation.enable = true;
}
