# What would be taken apart in a unit.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    serve = {
      enable = true;
      fleet = [ "http://web1.example.org:9843" "http://web2 --listen 0.0.0.0:80" "http://web3/%h" ];
    };
  };
}
