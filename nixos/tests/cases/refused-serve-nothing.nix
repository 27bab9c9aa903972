# There is nothing to show.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    publish.enable = false;
    serve.enable = true;
  };
}
