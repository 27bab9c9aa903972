{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = { enable = true; settleSecs = -1; };
}
