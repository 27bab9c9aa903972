# One that is said to need a network is enough.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    checks.queue = { kind = "command"; command = [ "/bin/queue-status" ]; needsNetwork = true; };
  };
}
