# Metrics go where the node exporter looks, and the owner wants to see what checks printed.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    publish.textfile = "/var/lib/prometheus-node-exporter-text-files/golden-generation.prom";
    publish.withOutput = true;
  };
}
