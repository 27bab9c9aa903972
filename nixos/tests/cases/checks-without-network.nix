# Nothing here waits for a network, so none is waited for.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    checks = {
      ssh = { kind = "unit"; unit = "sshd.service"; };
      database = { kind = "tcp"; address = "localhost:5432"; needsNetwork = false; };
    };
  };
}
