{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = { enable = true; maxFailure = 3; };
}
