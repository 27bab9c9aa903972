# Nobody is told anything.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    publish.enable = false;
  };
}
