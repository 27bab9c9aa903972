# Imported and not enabled: nothing.
{
  boot.loader.systemd-boot.enable = true;
}
