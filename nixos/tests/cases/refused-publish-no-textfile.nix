# The collector would not read it.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    publish.textfile = "/var/lib/node-exporter/golden-generation.txt";
  };
}
