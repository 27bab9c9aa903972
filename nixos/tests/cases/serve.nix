# The page of one host, as it comes.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    serve.enable = true;
  };
}
