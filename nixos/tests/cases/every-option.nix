{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    maxFailures = 3;
    maxInterruptions = 10;
    maxAutomaticReboots = 0;
    rollbackTarget = "last-confirmed";
    bootDeadlineSecs = 1800;
    live = {
      enable = false;
      activationSecs = 3600;
      windowSecs = 600;
      proof = "person";
    };
    unattended = false;
    safeModeUnits = [ "tailscaled.service" ];
  };
}
