{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = { enable = true; maxFailures = 4294967296; };
}
