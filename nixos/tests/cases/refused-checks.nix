{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    checks = {
      a = { kind = "http"; };
      b = { kind = "tcp"; address = "localhost:1"; url = "http://localhost"; };
      c = { kind = "disk-space"; path = "/"; };
    };
    requiredChecks."../x" = "true";
    wantedChecks.".hidden" = "true";
  };
}
