# The page of a fleet, behind a proxy and in a tunnel.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    serve = {
      enable = true;
      listen = [ "127.0.0.1:9843" "[fd00::1]:9843" ];
      fleet = [ "http://web1.example.org:9843" "https://[fd00::2]/status.json" ];
      directory = "/var/lib/fleet-status";
      names = [ "status.example.org" ];
    };
  };
}
