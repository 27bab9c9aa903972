{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = { enable = true; checks.web.url = "http://localhost"; };
}
