{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = { enable = true; stateDir = "/persist/golden generation"; };
}
