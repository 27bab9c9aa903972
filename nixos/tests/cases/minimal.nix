# What a stranger writes.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation.enable = true;
}
